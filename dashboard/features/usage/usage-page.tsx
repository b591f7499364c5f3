"use client";

import dynamic from "next/dynamic";

import { Shell } from "@/features/frame/shell";
import { ScopeSwitch } from "@/features/scope/scope-switch";
import { Requests } from "@/features/usage/requests";
import { SeriesPanel } from "@/features/usage/series-panel";
import { useLater } from "@/lib/later";
import { useUrlState } from "@/lib/url-state";

const drawer = () => import("@/features/usage/request-drawer");
const RequestDrawer = dynamic(() => drawer().then((module) => module.RequestDrawer));

/** What used the money, and why a request cost what it cost or failed. */
export function UsagePage() {
  const { get, set } = useUrlState();
  const open = get("id");
  useLater(drawer);
  return (
    <Shell page="usage" actions={<ScopeSwitch />}>
      <SeriesPanel />
      <Requests openId={open} onOpen={(id) => set({ id })} />
      {open !== "" && <RequestDrawer key={open} id={open} onClose={() => set({ id: "" })} />}
    </Shell>
  );
}
