import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";

import { SavedViews } from "@/features/usage/saved-views";
import { VIEWS_MAX, usePreferences } from "@/lib/preferences";
import { address, visit } from "@/tests/navigation";
import { show } from "@/tests/render";

it("keeps the choice of a page by a name, opens it, and removes it", async () => {
  visit("/dashboard/usage?status=refused&when=yesterday&id=r1");
  const { unmount } = show(<SavedViews />);
  await userEvent.click(screen.getByRole("button", { name: "Views" }));
  await userEvent.click(screen.getByRole("menuitem", { name: "Save view" }));
  await userEvent.click(screen.getByRole("button", { name: "Save view" }));
  expect(screen.getByText("Enter a name")).toBeVisible();
  await userEvent.type(screen.getByLabelText("Name"), "Refused yesterday");
  await userEvent.click(screen.getByRole("button", { name: "Save view" }));
  expect(usePreferences.getState().views).toEqual([{ path: "/dashboard/usage", name: "Refused yesterday", query: "status=refused&when=yesterday" }]);
  unmount();
  visit("/dashboard/usage");
  const other = show(<SavedViews />);
  await userEvent.click(screen.getByRole("button", { name: "Views" }));
  await userEvent.click(screen.getByRole("menuitem", { name: "Refused yesterday" }));
  expect(address.visited.at(-1)).toBe("/dashboard/usage?status=refused&when=yesterday");
  other.unmount();
  visit("/dashboard/usage?when=yesterday&status=refused");
  show(<SavedViews />);
  await userEvent.click(screen.getByRole("button", { name: "Views" }));
  await userEvent.click(screen.getByRole("menuitem", { name: "Remove view" }));
  expect(usePreferences.getState().views).toEqual([]);
});

it("keeps a bounded number of views, and one of each name", () => {
  const { saveView } = usePreferences.getState();
  const views = () => usePreferences.getState().views;
  for (let nth = 0; nth <= VIEWS_MAX; nth += 1) saveView({ path: "/a", name: String(nth), query: "" });
  expect(views()).toHaveLength(VIEWS_MAX);
  expect(views()[0]?.name).toBe("1");
  saveView({ path: "/a", name: "1", query: "q=1" });
  expect(views().filter(({ name }) => name === "1")).toEqual([{ path: "/a", name: "1", query: "q=1" }]);
});
