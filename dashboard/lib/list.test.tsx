import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";

import { MoreButton } from "@/components/ui/more-button";
import { EMPTY_PAGES_MAX, type ListPage, useList } from "@/lib/list";
import { show } from "@/tests/render";

type Page = ListPage & { items: string[] };

/** Pages that have rows only where `rows` has some, by their number from 1. */
function pages(count: number, rows: Record<number, string[]>): { read(cursor: { cursor?: string }): Promise<Page>; reads: number[] } {
  const reads: number[] = [];
  const read = ({ cursor = "1" }: { cursor?: string }): Promise<Page> => {
    const page = Number(cursor);
    reads.push(page);
    return Promise.resolve({ items: rows[page] ?? [], next: page < count ? String(page + 1) : null });
  };
  return { read, reads };
}

function Rows({ read }: { read(cursor: { cursor?: string }): Promise<Page> }) {
  const list = useList<Page>({ queryKey: ["rows"], read });
  const rows = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      {list.isSuccess && <p>{rows.join(",") || "none"}</p>}
      {list.hasNextPage && <MoreButton list={list}>more</MoreButton>}
    </>
  );
}

it("reads on until rows that are only on the 40th page", async () => {
  const { read, reads } = pages(60, { 40: ["a"], 60: ["b"] });
  show(<Rows read={read} />);
  expect(await screen.findByText("a")).toBeVisible();
  expect(reads).toHaveLength(40);
  await userEvent.click(screen.getByRole("button", { name: "more" }));
  expect(await screen.findByText("a,b")).toBeVisible();
  expect(reads).toHaveLength(60);
  expect(screen.queryByRole("button")).toBeNull();
});

it("says that there are none only at the end", async () => {
  const { read, reads } = pages(7, {});
  show(<Rows read={read} />);
  expect(await screen.findByText("none")).toBeVisible();
  expect(reads).toHaveLength(7);
  expect(screen.queryByRole("button")).toBeNull();
});

it("reads a bounded number of empty pages, and then lets the reader continue", async () => {
  const { read, reads } = pages(1_000, { 60: ["a"] });
  show(<Rows read={read} />);
  const more = await screen.findByRole("button", { name: "more" });
  expect(reads).toHaveLength(EMPTY_PAGES_MAX + 1);
  await userEvent.click(more);
  await waitFor(() => expect(screen.getByText("a")).toBeVisible());
  expect(reads).toHaveLength(60);
});
