// @ts-check
// Small helpers for the page's elements. Text is inserted as text, never as markup.

/**
 * The element with an id of index.html.
 *
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element #${id}`);
  return /** @type {T} */ (/** @type {unknown} */ (found));
}

/**
 * Makes an element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | boolean | ((event: any) => void)>} [attributes] `text` is its
 *   text, a function is a listener, `true` an empty attribute, `false` none
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (name === 'text') element.textContent = String(value);
    else if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/**
 * An icon beside a text with the same meaning.
 *
 * @param {string} name a class of style/icons.css
 */
export function icon(name) {
  return make('span', { class: `icon ${name}`, 'aria-hidden': 'true' });
}

/**
 * Sets a text only if it differs, so that the place of a screen reader and a selection survive.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
