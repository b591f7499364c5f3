/** Header fields by which the server recognises the repeat of a request whose response was lost. */

const ID_BYTES = 16;

/** A random id. `crypto.randomUUID` is missing on pages over plain HTTP. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns a function that gives equal requests in a row the same `Idempotency-Key`, and any other request a new one. */
export function repeatHeaders(): (request: unknown) => Record<string, string> {
  let last: { request: string; id: string } | undefined;
  return (request) => {
    const text = JSON.stringify(request);
    if (last?.request !== text) last = { request: text, id: randomId() };
    return { "Idempotency-Key": last.id };
  };
}
