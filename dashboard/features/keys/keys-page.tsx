"use client";

import { Shell } from "@/features/frame/shell";

export function KeysPage() {
  return <Shell page="keys">{null}</Shell>;
}
