"use client";

import { Button, type ButtonProps } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";

interface MoreButtonProps extends Pick<ButtonProps, "look" | "className" | "children"> {
  /** The list, of which the next page is read. */
  list: { error: unknown; isFetchNextPageError: boolean; isFetchingNextPage: boolean; fetchNextPage(): Promise<unknown> };
}

/** Reads the next page of a list; a failure is shown before the button, because the pages that were read stay. */
export function MoreButton({ list, ...rest }: MoreButtonProps) {
  return (
    <>
      <FailedNote error={list.isFetchNextPageError ? list.error : undefined} />
      <Button size="small" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()} {...rest} />
    </>
  );
}
