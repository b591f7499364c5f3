"use client";

import { Shell } from "@/features/frame/shell";
import { ScopeSwitch } from "@/features/scope/scope-switch";
import { RequestDrawer } from "@/features/usage/request-drawer";
import { Requests } from "@/features/usage/requests";
import { SeriesPanel } from "@/features/usage/series-panel";
import { useUrlState } from "@/lib/url-state";

/** What used the money, and why a request cost what it cost or failed. */
export function UsagePage() {
  const { get, set } = useUrlState();
  const open = get("id");
  return (
    <Shell page="usage" actions={<ScopeSwitch />}>
      <SeriesPanel />
      <Requests openId={open} onOpen={(id) => set({ id })} />
      {open !== "" && <RequestDrawer key={open} id={open} onClose={() => set({ id: "" })} />}
    </Shell>
  );
}
