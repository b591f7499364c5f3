"use client";

import * as Radix from "@radix-ui/react-dialog";
import { Search } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";

import { type Command, matching } from "@/features/palette/commands";
import { useCommands } from "@/features/palette/use-commands";
import { useMessages } from "@/lib/language";

/** Finds a page, an action, a key or a model by its name. The focus stays in the field; arrow keys choose. */
export function Palette({ onClose, onHelp }: { onClose(): void; onHelp(): void }) {
  const t = useMessages();
  const id = useId();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const shown = matching(useCommands(onHelp), text);
  const active = Math.min(chosen, shown.length - 1);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [active, text]);
  const run = (command: Command | undefined): void => {
    if (!command) return;
    onClose();
    command.run();
  };
  const keys = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: shown.length - 1 };
    const next = steps[event.key];
    if (next !== undefined && shown.length > 0) {
      event.preventDefault();
      setChosen((next + shown.length) % shown.length);
    }
    if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      event.preventDefault();
      run(shown[active]);
    }
  };
  const option = (at: number): string => `${id}-${at}`;
  return (
    <Radix.Root open onOpenChange={(open) => !open && onClose()}>
      <Radix.Portal>
        <div className="scrim top-third">
          <Radix.Content className="dialog palette" aria-describedby={undefined}>
            <Radix.Title className="vh">{t.palette.title}</Radix.Title>
            <div className="pal-in">
              <Search className="i" aria-hidden />
              <input
                role="combobox"
                aria-label={t.palette.title}
                aria-expanded
                aria-controls={`${id}-list`}
                aria-activedescendant={active < 0 ? undefined : option(active)}
                aria-autocomplete="list"
                autoComplete="off"
                spellCheck={false}
                autoFocus
                placeholder={t.palette.placeholder}
                value={text}
                onChange={(event) => {
                  setText(event.target.value);
                  setChosen(0);
                }}
                onKeyDown={keys}
              />
              <kbd className="kbd">Esc</kbd>
            </div>
            <ul ref={list} id={`${id}-list`} role="listbox" aria-label={t.palette.results}>
              {shown.map((command, at) => (
                <Option key={command.id} id={option(at)} command={command} isActive={at === active} isFirst={shown[at - 1]?.group !== command.group} onPoint={() => setChosen(at)} onRun={() => run(command)} />
              ))}
            </ul>
            {shown.length === 0 && <p className="t3 md px-4 py-6 text-center" role="status">{t.palette.nothing(text)}</p>}
          </Radix.Content>
        </div>
      </Radix.Portal>
    </Radix.Root>
  );
}

interface OptionProps {
  id: string;
  command: Command;
  isActive: boolean;
  /** Whether it is the first of its group, which then has a heading. */
  isFirst: boolean;
  onPoint(): void;
  onRun(): void;
}

function Option({ id, command, isActive, isFirst, onPoint, onRun }: OptionProps) {
  const t = useMessages();
  const { icon: Icon, label, keys, group } = command;
  return (
    <>
      {isFirst && (
        <li role="presentation" className="pal-h">
          {t.palette.groups[group]}
        </li>
      )}
      <li id={id} role="option" aria-selected={isActive} onPointerMove={onPoint} onClick={onRun}>
        <Icon className="i" aria-hidden />
        <span className="trunc" dir="auto">{label}</span>
        {keys && <kbd className="kbd push">{keys}</kbd>}
      </li>
    </>
  );
}
