"use client";

import * as Radix from "@radix-ui/react-tabs";
import type { ReactNode } from "react";

export interface Tab<Name extends string> {
  name: Name;
  label: ReactNode;
}

interface TabsProps<Name extends string> {
  label: string;
  tabs: readonly Tab<Name>[];
  value: Name;
  onChange(name: Name): void;
  listClass: string;
  tabClass?: string | undefined;
  /** The class of the tabs alone, if `trailing` is beside them. */
  tabsClass?: string;
  /** Controls at the end of the list. */
  trailing?: ReactNode;
  children: ReactNode;
}

/** Tabs with arrow keys; `children` is the panel of the chosen tab. */
export function Tabs<Name extends string>({ label, tabs, value, onChange, listClass, tabClass, tabsClass = "contents", trailing, children }: TabsProps<Name>) {
  return (
    <Radix.Root value={value} onValueChange={(name) => onChange(name as Name)}>
      <div className={listClass}>
        <Radix.List aria-label={label} className={tabsClass}>
          {tabs.map((tab) => (
            <Radix.Trigger key={tab.name} value={tab.name} className={tabClass}>
              {tab.label}
            </Radix.Trigger>
          ))}
        </Radix.List>
        {trailing}
      </div>
      <Radix.Content value={value} tabIndex={-1}>
        {children}
      </Radix.Content>
    </Radix.Root>
  );
}

interface SegmentsProps<Name extends string> {
  label: string;
  options: readonly Tab<Name>[];
  value: Name;
  onChange(name: Name): void;
}

/** A choice of one of a few options. */
export function Segments<Name extends string>({ label, options, value, onChange }: SegmentsProps<Name>) {
  return (
    <div className="seg" role="group" aria-label={label}>
      {options.map((option) => (
        <button key={option.name} type="button" aria-pressed={option.name === value} onClick={() => onChange(option.name)}>
          {option.label}
        </button>
      ))}
    </div>
  );
}
