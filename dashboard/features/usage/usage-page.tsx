"use client";

import { Shell } from "@/features/frame/shell";

export function UsagePage() {
  return <Shell page="usage">{null}</Shell>;
}
