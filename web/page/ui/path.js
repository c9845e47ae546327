// @ts-check
// The network path in words. Pure functions.

/** @typedef {import('../../client/rtc/connection.js').NetworkPath} NetworkPath */

/**
 * @typedef {object} PathWords
 * @property {'direct' | 'relay'} icon
 * @property {string} text
 */

/**
 * Describes a path to a person.
 *
 * The type of a candidate is not enough: an IPv6 host candidate may be in any network, and a side
 * that cannot resolve the peer's mDNS name sees a peer-reflexive candidate on its own network. So
 * the addresses decide where they are known.
 *
 * @param {NetworkPath} path
 * @returns {PathWords}
 */
export function describePath(path) {
  if (path.kind === 'relayed') {
    return { icon: 'relay', text: 'Through a relay, still end-to-end encrypted' };
  }
  const { local, remote } = path;
  const far = remote.address;
  if (local.type === 'srflx' || remote.type === 'srflx') {
    return { icon: 'direct', text: 'Direct over the internet' };
  }
  if (!far || far.endsWith('.local') || isPrivate(far) || sameSubnet(local.address, far)) {
    return { icon: 'direct', text: 'Direct on your network' };
  }
  return { icon: 'direct', text: 'Direct over the internet' };
}

/**
 * Loopback, link-local and private ranges (RFC 1918, RFC 6598, RFC 4193).
 *
 * @param {string} address
 */
function isPrivate(address) {
  const text = address.replace(/^\[|\]$/g, '').toLowerCase();
  if (text.includes(':')) return text === '::1' || /^f[cd]/.test(text) || /^fe[89ab]/.test(text);
  const [a, b] = text.split('.').map(Number);
  return (
    a === 10 || a === 127 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) ||
    (a === 169 && b === 254) || (a === 100 && b >= 64 && b < 128)
  );
}

/**
 * Whether two public IPv6 addresses share their first 64 bits.
 *
 * @param {string | null} near
 * @param {string} far
 */
function sameSubnet(near, far) {
  if (!near || !near.includes(':') || !far.includes(':')) return false;
  return prefix(near) === prefix(far);
}

/** @param {string} address */
function prefix(address) {
  const [head, tail] = address.replace(/^\[|\]$/g, '').toLowerCase().split('::');
  const groups = head ? head.split(':') : [];
  const last = tail ? tail.split(':') : [];
  if (tail !== undefined) while (groups.length + last.length < 8) groups.push('0');
  return [...groups, ...last].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, '')).join(':');
}
