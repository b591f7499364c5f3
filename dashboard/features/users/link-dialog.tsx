"use client";

import { useState } from "react";

import { Button } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Dialog } from "@/components/ui/dialog";
import { useFormat, useMessages } from "@/lib/language";

/** A one-time link that the server has just issued. */
export interface IssuedLink {
  kind: "created" | "password" | "invite";
  /** The person that it is for. */
  name: string;
  url: string;
  expiresAt: string;
}

/** Shows a link once. Only the button closes the dialog, after the reader has confirmed that the link is sent. */
export function LinkDialog({ link, onDone }: { link: IssuedLink; onDone(): void }) {
  const t = useMessages();
  const format = useFormat();
  const [isSent, setIsSent] = useState(false);
  const titles = { created: t.users.createdTitle(link.name), password: t.users.linkReady(link.name), invite: t.users.inviteReady(link.name) };
  const footer = (
    <>
      <label className="chk mr-auto">
        <input type="checkbox" checked={isSent} onChange={(event) => setIsSent(event.target.checked)} />
        {t.users.linkSent}
      </label>
      <Button look="primary" disabled={!isSent} onClick={onDone}>{t.keys.done}</Button>
    </>
  );
  return (
    <Dialog title={titles[link.kind]} description={t.users.linkOnce(format.moment(link.expiresAt))} footer={footer}>
      <div className="secret">
        <code data-testid="link">{link.url}</code>
        <CopyButton text={link.url} what={t.users.theLink} look="primary" withWord />
      </div>
      <p className="t2 md">{link.kind === "invite" ? t.users.inviteUse : t.users.linkUse}</p>
    </Dialog>
  );
}
