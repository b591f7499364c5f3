import { vi } from "vitest";

/** The address of the page under test, and the addresses that the page opened. */
export const address = { path: "/", query: "", visited: [] as string[] };

const open = (to: string): void => void address.visited.push(to);

export const router = {
  push: vi.fn<(to: string, options?: object) => void>(open),
  replace: vi.fn<(to: string, options?: object) => void>(open),
};

/** Sets the address of the page under test, until the test ends. */
export function visit(to: string): void {
  const [path = "/", query = ""] = to.split("?");
  Object.assign(address, { path, query, visited: [] });
}

// The hooks of `next/navigation` that pages use. In unit tests, this module replaces it (`vitest.config.ts`).
export const useRouter = () => router;
export const usePathname = () => address.path;
export const useSearchParams = () => new URLSearchParams(address.query);
