"use client";

import * as Menu from "@radix-ui/react-dropdown-menu";
import { Bookmark, BookmarkPlus, Check, Trash2 } from "lucide-react";
import { usePathname, useRouter, useSearchParams } from "next/navigation";
import { type FormEvent, useState } from "react";

import { buttonClass } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { useMessages } from "@/lib/language";
import { VIEWS_MAX, usePreferences } from "@/lib/preferences";

const NAME_MAX = 60;

/** The address without what is open: a view is a choice of figures. */
function queryOf(parameters: URLSearchParams): string {
  const query = new URLSearchParams(parameters);
  query.delete("id");
  query.sort();
  return query.toString();
}

/** Views of a page by name: its filters, ranges and groupings, which this browser keeps. */
export function SavedViews() {
  const t = useMessages();
  const router = useRouter();
  const path = usePathname();
  const query = queryOf(new URLSearchParams(useSearchParams().toString()));
  const [isSaving, setIsSaving] = useState(false);
  const views = usePreferences((state) => state.views).filter((view) => view.path === path);
  const { saveView, removeView } = usePreferences.getState();
  const shown = views.find((view) => view.query === query);
  const save = (name: string) => {
    saveView({ path, name, query });
    setIsSaving(false);
  };
  return (
    <>
      <Menu.Root modal={false}>
        <Menu.Trigger className={buttonClass({})} aria-label={t.usage.views}>
          <Bookmark className="i s" aria-hidden />
          <span className="trunc max-w-40 hide">{shown?.name ?? t.usage.views}</span>
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Content className="menu max-w-72" align="end" sideOffset={4} collisionPadding={8}>
            {views.map((view) => (
              <Menu.Item key={view.name} title={view.name} onSelect={() => router.replace(view.query === "" ? path : `${path}?${view.query}`, { scroll: false })}>
                {view === shown ? <Check className="i s" aria-hidden /> : <Bookmark className="i s" aria-hidden />}
                <bdi className="trunc">{view.name}</bdi>
              </Menu.Item>
            ))}
            {shown && (
              <Menu.Item className="bad" onSelect={() => removeView(shown)}>
                <Trash2 className="i s" aria-hidden />
                {t.usage.viewRemove}
              </Menu.Item>
            )}
            {!shown && (
              <Menu.Item onSelect={() => setIsSaving(true)}>
                <BookmarkPlus className="i s" aria-hidden />
                {t.usage.viewSave}
              </Menu.Item>
            )}
          </Menu.Content>
        </Menu.Portal>
      </Menu.Root>
      {isSaving && <SaveDialog isFull={views.length >= VIEWS_MAX} onSave={save} onClose={() => setIsSaving(false)} />}
    </>
  );
}

function SaveDialog({ isFull, onSave, onClose }: { isFull: boolean; onSave(name: string): void; onClose(): void }) {
  const t = useMessages();
  const [name, setName] = useState("");
  const [isMissing, setIsMissing] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const text = name.trim();
    setIsMissing(text === "");
    if (text !== "") onSave(text);
  };
  return (
    <FormDialog title={t.usage.viewSave} text={isFull ? t.usage.viewsFull(String(VIEWS_MAX)) : t.usage.viewsText} action={t.usage.viewSave} isBusy={false} error={undefined} onSubmit={submit} onClose={onClose}>
      <Field label={t.usage.viewName} value={name} maxLength={NAME_MAX} error={isMissing ? t.usage.viewNameMissing : undefined} onChange={(event) => setName(event.target.value)} />
    </FormDialog>
  );
}
