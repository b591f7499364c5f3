import { waitFor } from "@testing-library/react";
import { expect, it } from "vitest";

import { useTitle } from "@/lib/title";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

function Page() {
  useTitle("Sign in");
  return null;
}

it("keeps the title when that of the exported page comes late", async () => {
  serve({ "GET /api/site": { body: SITE } });
  const { unmount } = show(<Page />);
  await waitFor(() => expect(document.title).toBe(`Sign in · ${SITE.name}`));
  document.title = "Gateway";
  await waitFor(() => expect(document.title).toBe(`Sign in · ${SITE.name}`));
  unmount();
  document.title = "Gateway";
  await new Promise((resolve) => setTimeout(resolve));
  expect(document.title).toBe("Gateway");
});
