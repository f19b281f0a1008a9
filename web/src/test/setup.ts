import { configure } from "@testing-library/dom";

// Ant Design and the lists ask for these; jsdom has none of them.
if (typeof window !== "undefined") {
  window.matchMedia ??= (query: string) =>
    ({ matches: false, media: query, onchange: null, addEventListener: () => undefined, removeEventListener: () => undefined, addListener: () => undefined, removeListener: () => undefined, dispatchEvent: () => false }) as MediaQueryList;
  Element.prototype.scrollIntoView ??= () => undefined;
  Element.prototype.scrollTo ??= () => undefined;
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
}

// Looking for what is visible costs a computed style for each element of the page; tests ask for what is there.
configure({ defaultHidden: true, asyncUtilTimeout: 20_000 });
