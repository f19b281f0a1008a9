/** A number and its unit stay on one line: `6 mm` must not break behind the 6. */
export function unbroken(text: string): string {
  return text.replace(/(\d) (?=(?:mm|cm|m|HU|ml|%)(?![A-Za-z]))/g, "$1\u00a0");
}
