"use client";

/** The lists of the API, which are read page by page. A filter may leave pages of the API empty; a list reads on behind them. */

import { type InfiniteData, type QueryKey, type UseInfiniteQueryResult, useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { ApiError } from "@/lib/api";

/** A page of the API. */
export interface ListPage {
  items: readonly unknown[];
  /** The cursor of the next page; absent or null at the end. */
  next?: string | null;
}

/** Maximum number of empty pages of the API behind which one page of a list is read. After that, the reader decides. */
export const EMPTY_PAGES_MAX = 50;

interface ListOptions<Page extends ListPage> {
  queryKey: QueryKey;
  /** Reads the page of a cursor; the first page has none. */
  read(cursor: { cursor?: string }, signal: AbortSignal): Promise<Page>;
  /** The milliseconds after which the first page is read again, while it is the only one. */
  liveMs?: number | false;
  isEnabled?: boolean;
}

export type List<Page extends ListPage> = UseInfiniteQueryResult<InfiniteData<Page>, ApiError> & {
  /** The number of empty pages that were read since the last page with rows. */
  emptyPages: number;
};

/** A list whose pages have rows, except the last one and a page behind `EMPTY_PAGES_MAX` empty ones. */
export function useList<Page extends ListPage>({ queryKey, read, liveMs = false, isEnabled = true }: ListOptions<Page>): List<Page> {
  const [emptyPages, setEmptyPages] = useState(0);
  const list = useInfiniteQuery<Page, ApiError, InfiniteData<Page>, QueryKey, string>({
    queryKey,
    enabled: isEnabled,
    initialPageParam: "",
    queryFn: async ({ pageParam, signal }) => {
      let page = await read(pageParam === "" ? {} : { cursor: pageParam }, signal);
      let empty = 0;
      while (page.items.length === 0 && page.next && empty < EMPTY_PAGES_MAX) {
        empty += 1;
        setEmptyPages(empty);
        page = await read({ cursor: page.next }, signal);
      }
      setEmptyPages(0);
      return page;
    },
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state: { data } }) => ((data?.pages.length ?? 0) > 1 ? false : liveMs),
  });
  return { ...list, emptyPages };
}
