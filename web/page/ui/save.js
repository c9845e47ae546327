// @ts-check
// Passes a received file to the browser's downloads.

const URL_LIVES = 60_000; // ms; the browser has begun to read by then

/**
 * Starts the browser's download of a received file.
 *
 * @param {string} name its name; slashes are not allowed in it
 * @param {File | Blob} file
 */
export function handOver(name, file) {
  const url = URL.createObjectURL(file);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name.split('/').pop() ?? name;
  anchor.hidden = true;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), URL_LIVES);
}
