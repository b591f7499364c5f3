"use client";

import { Button, type ButtonProps } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { useFormat, useMessages } from "@/lib/language";

interface MoreButtonProps extends Pick<ButtonProps, "look" | "className" | "children"> {
  /** The list, of which the next page is read. */
  list: { error: unknown; isFetchNextPageError: boolean; isFetchingNextPage: boolean; emptyPages: number; fetchNextPage(): Promise<unknown> };
}

/** Reads the next page of a list; a failure is shown before the button, because the pages that were read stay. */
export function MoreButton({ list, children, ...rest }: MoreButtonProps) {
  const t = useMessages();
  const format = useFormat();
  const progress = list.emptyPages > 0 ? t.frame.searching(format.count(list.emptyPages)) : t.frame.loading;
  return (
    <>
      <FailedNote error={list.isFetchNextPageError ? list.error : undefined} />
      <Button size="small" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()} {...rest}>
        {list.isFetchingNextPage ? progress : children}
      </Button>
    </>
  );
}
