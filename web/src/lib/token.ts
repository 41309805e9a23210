// The operator's token comes in the address' fragment (which browsers never send) or by hand, and lives in this tab only.

const KEY = 'muster.token';
const VALID = /^[\x21-\x7e]{8,512}$/;

export function isPlausibleToken(token: string): boolean {
  return VALID.test(token);
}

/** "#token=abc" → "abc"; anything else → null. */
export function tokenFromHash(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, '')).get('token');
  return token !== null && isPlausibleToken(token) ? token : null;
}

/** Takes a token out of the address bar (so that it is in no history, bookmark or screenshot) or out of this tab's store. */
export function takeToken(): string | null {
  const fresh = tokenFromHash(location.hash);
  if (location.hash.includes('token=')) history.replaceState(null, '', location.pathname + location.search);
  if (fresh) saveToken(fresh);
  return fresh ?? sessionStorage.getItem(KEY);
}

export function saveToken(token: string): void {
  sessionStorage.setItem(KEY, token);
}

export function dropToken(): void {
  sessionStorage.removeItem(KEY);
}
