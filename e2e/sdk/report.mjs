// What every script does: runs the case that it is told, prints what the client saw, as JSON.

/** A fetch that counts: how often the client calls, its own retries included. */
export function counting() {
  const fetcher = async (...args) => {
    fetcher.calls += 1;
    return fetch(...args);
  };
  fetcher.calls = 0;
  return fetcher;
}

/** What a caught error is to a user of the client; `stack` for who mends the script. */
function described(error) {
  return {
    class: error.constructor.name,
    status: error.status ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    message: error.message,
    request_id: error.requestID ?? null,
    stack: error.stack,
  };
}

/** Runs `cases[what]`; an error that it throws is what it saw. */
export async function run(cases, what, fetcher) {
  const seen = await cases[what]().catch((error) => ({ error: described(error) }));
  console.log(JSON.stringify({ ...seen, calls: fetcher.calls }));
}
