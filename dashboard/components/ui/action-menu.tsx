"use client";

import * as Menu from "@radix-ui/react-dropdown-menu";
import { Ellipsis, type LucideIcon } from "lucide-react";

import { buttonClass } from "@/components/ui/button";

export interface MenuAction {
  name: string;
  icon: LucideIcon;
  isDangerous?: boolean;
  onSelect(): void;
}

/** The menu of a row. It is not modal, because Radix would insert a style element, which the policy forbids. */
export function ActionMenu({ label, actions }: { label: string; actions: MenuAction[] }) {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger
        className={buttonClass({ look: "ghost", size: "small", icon: true })}
        aria-label={label}
        onClick={(event) => event.stopPropagation()}
        onKeyDown={(event) => event.stopPropagation()}
      >
        <Ellipsis className="i" aria-hidden />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="end" sideOffset={4} onClick={(event) => event.stopPropagation()}>
          {actions.map(({ name, icon: Icon, isDangerous, onSelect }) => (
            <Menu.Item key={name} className={isDangerous ? "bad" : undefined} onSelect={onSelect}>
              <Icon className="i s" aria-hidden />
              {name}
            </Menu.Item>
          ))}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}
