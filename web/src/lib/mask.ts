/** Masked values for screens that others can see. The server masks what it sends to displays; this is for staff screens. */
export function maskName(name: string): string {
  const characters = [...name.trim()];
  const first = characters[0];
  if (first === undefined) return "";
  const latin = /^[\p{Script=Latin}\s.'-]+$/u.test(name);
  if (latin) return name.trim().split(/\s+/).map((word) => `${[...word][0] ?? ""}***`).join(" ");
  if (characters.length === 1) return `${first}*`;
  if (characters.length === 2) return `${first}*`;
  return `${first}${"*".repeat(characters.length - 2)}${characters[characters.length - 1] ?? ""}`;
}

export function maskIdentifier(value: string): string {
  if (value.length <= 6) return "*".repeat(value.length);
  const head = value.length >= 15 ? 6 : 2;
  return `${value.slice(0, head)}${"*".repeat(value.length - head - 4)}${value.slice(-4)}`;
}

export function maskPhone(phone: string): string {
  return phone.length < 7 ? "*".repeat(phone.length) : `${phone.slice(0, 3)}****${phone.slice(-4)}`;
}
