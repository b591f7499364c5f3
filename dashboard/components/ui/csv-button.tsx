"use client";

import { useMutation } from "@tanstack/react-query";
import { Download } from "lucide-react";

import { Button } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { useMessages } from "@/lib/language";
import { save } from "@/lib/save";

interface CsvButtonProps {
  /** The name of the file that the browser saves. */
  name: string;
  /** Reads the table from the server. */
  read(): Promise<string>;
  size?: "small";
}

/** Downloads what a page shows as CSV, which the server writes. */
export function CsvButton({ name, read, size }: CsvButtonProps) {
  const t = useMessages();
  const csv = useMutation({ mutationFn: read, onSuccess: (text) => save(name, text) });
  return (
    <>
      <Button {...(size && { size })} disabled={csv.isPending} onClick={() => csv.mutate()}>
        <Download className={size ? "i s" : "i"} aria-hidden />
        {t.usage.csv}
      </Button>
      <FailedNote title={t.usage.csvFailed} error={csv.error} />
    </>
  );
}
