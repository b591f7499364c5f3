/** Requests to the proxy, which is another origin. The key goes into one header and nowhere else. */

export interface GatewayRequest {
  url: string;
  key: string;
  headers: Record<string, string>;
  body: unknown;
  signal: AbortSignal;
}

/** Sends a request; fails only without a response. Cookies are never sent. */
export function callGateway({ url, key, headers, body, signal }: GatewayRequest): Promise<Response> {
  return fetch(url, {
    method: "POST",
    mode: "cors",
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    headers: { ...headers, Authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
    signal,
  });
}
