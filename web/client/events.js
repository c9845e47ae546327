// @ts-check
// Types for event targets with known events: a map from each type of event to its `detail`.
//
//     /** @typedef {{state: LinkState, closed: Problem}} LinkEvents */
//     class Link extends /** @type {new () => TypedEventTarget<LinkEvents>} */ (EventTarget) {}

/**
 * A listener for one type of event.
 *
 * @template Detail
 * @typedef {((event: CustomEvent<Detail>) => void) | {handleEvent(event: CustomEvent<Detail>): void}} Listener
 */

/**
 * An `EventTarget` that dispatches only the `CustomEvent`s of the map.
 *
 * @template {object} Events by type, what `detail` holds
 * @typedef {object} TypedEventTarget
 * @property {<Type extends keyof Events & string>(type: Type, listener: Listener<Events[Type]> | null,
 *   options?: boolean | AddEventListenerOptions) => void} addEventListener
 * @property {<Type extends keyof Events & string>(type: Type, listener: Listener<Events[Type]> | null,
 *   options?: boolean | EventListenerOptions) => void} removeEventListener
 * @property {(event: Event) => boolean} dispatchEvent
 */

export {};
