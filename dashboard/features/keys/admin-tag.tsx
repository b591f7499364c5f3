import { useMessages } from "@/lib/language";

/** Marks a key with the scope `admin` in a list. */
export function AdminTag() {
  const t = useMessages();
  return <> <span className="tag acc" title={t.keys.adminText}>{t.keys.admin}</span></>;
}
