/** Only paths of this site: a link must not send somebody elsewhere after signing in. */
export function safeNext(next: string | undefined): string | null {
  if (next === undefined || !next.startsWith("/") || next.startsWith("//") || next.startsWith("/\\")) return null;
  return next.startsWith("/login") ? null : next;
}
