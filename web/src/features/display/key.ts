/**
 * The display's key comes in the fragment, which browsers never send to a server or write to its log.
 * It moves into the session storage at once, so that the address on the wall does not show it.
 */
const STORE = "mingying.display-key";

export function takeKey(location: Pick<Location, "hash" | "pathname" | "search">, storage: Storage, replace: (url: string) => void): string | null {
  const key = new URLSearchParams(location.hash.replace(/^#/, "")).get("key");
  if (key) {
    storage.setItem(STORE, key);
    replace(location.pathname + location.search);
    return key;
  }
  return storage.getItem(STORE);
}
