// @ts-check
// A file's name as an element: a single text, so that it is copied and read out unchanged.

import { make } from './dom.js';
import { showName } from '../../client/text.js';

/**
 * @param {string} name
 * @param {string} [className]
 */
export function nameElement(name, className = '') {
  return make('bdi', { class: `name ${className}`.trim(), text: showName(name) });
}

/**
 * The default name of this device.
 *
 * @param {string} agent the browser's user agent
 */
export function defaultName(agent) {
  const browsers = /** @type {const} */ ([
    [/Edg\//, 'Edge'],
    [/OPR\//, 'Opera'],
    [/Firefox\//, 'Firefox'],
    [/Chrome\//, 'Chrome'],
    [/Safari\//, 'Safari'],
  ]);
  const systems = /** @type {const} */ ([
    [/iPhone/, 'iPhone'],
    [/iPad/, 'iPad'],
    [/Android/, 'Android'],
    [/Mac OS X/, 'Mac'],
    [/Windows/, 'Windows'],
    [/CrOS/, 'Chromebook'],
    [/Linux/, 'Linux'],
  ]);
  const find = (/** @type {readonly (readonly [RegExp, string])[]} */ table) =>
    table.find(([pattern]) => pattern.test(agent))?.[1];
  return [find(browsers) ?? 'Browser', find(systems)].filter(Boolean).join(' on ');
}
