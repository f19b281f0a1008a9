/**
 * Pinyin initials without a dictionary: the browser's own Chinese collation orders characters by
 * pinyin, so the initial is found by comparing with the first character of each letter.
 * Rare readings of polyphones are not known; it serves searching, never identity.
 */
const FIRST = "阿八嚓哒妸发旮哈讥咔垃妈拏噢妑七呥仨他穵夕丫帀";
const LETTERS = "abcdefghjklmnopqrstwxyz";
const collator = new Intl.Collator("zh-Hans-CN-u-co-pinyin");
const cache = new Map<string, string>();

function initialOf(character: string): string {
  const known = cache.get(character);
  if (known !== undefined) return known;
  let initial = character.toLowerCase();
  if (/\p{Script=Han}/u.test(character)) {
    initial = "";
    for (let at = 0; at < LETTERS.length; at++) {
      if (collator.compare(character, FIRST.charAt(at)) < 0) break;
      initial = LETTERS.charAt(at);
    }
  } else if (!/[\p{L}\p{N}]/u.test(character)) initial = "";
  cache.set(character, initial);
  return initial;
}

/** `胸部CT平扫` gives `xbctps`. */
export function initials(text: string): string {
  let result = "";
  for (const character of text) result += initialOf(character);
  return result;
}
