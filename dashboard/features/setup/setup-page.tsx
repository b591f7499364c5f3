"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type ReactNode, useEffect, useState } from "react";

import { Failure, SkeletonRows } from "@/components/ui/states";
import { PlainHead } from "@/features/frame/plain-head";
import { useKeys } from "@/features/keys/use-keys";
import { useModels } from "@/features/models/use-models";
import { useProviders } from "@/features/providers/use-providers";
import { AdminStep } from "@/features/setup/admin-step";
import { CallStep } from "@/features/setup/call-step";
import { KeyStep } from "@/features/setup/key-step";
import { type AddedCredential, ProviderStep } from "@/features/setup/provider-step";
import { SellStep } from "@/features/setup/sell-step";
import { type SetupFacts, type StepName, currentStep, exampleOf, realProviders, usableKey } from "@/features/setup/setup-state";
import { Progress, Steps } from "@/features/setup/steps";
import { useFirstRequests } from "@/features/setup/use-setup";
import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useMe, useSite } from "@/lib/queries";
import { useTitle } from "@/lib/title";
import { useUrlState } from "@/lib/url-state";
import type { Messages } from "@/messages/en";

/** Leads from an empty store to the first call. Every step is read from the server, so that the reader can return. */
export function SetupPage() {
  const t = useMessages();
  const router = useRouter();
  const site = useSite();
  const me = useMe();
  const needsAdmin = site.data?.needs_setup === true;
  const isSignedOut = me.error?.isSignedOut === true && !me.data;
  useTitle(t.setup.title);
  useEffect(() => {
    if (site.data && !needsAdmin && isSignedOut) router.replace("/dashboard/login?next=/dashboard/setup");
  }, [site.data, needsAdmin, isSignedOut, router]);
  if (needsAdmin) {
    return (
      <Frame current="admin">
        <Steps current="admin" results={{}}><AdminStep /></Steps>
      </Frame>
    );
  }
  if (site.isError && !site.data) return <Frame><Failure error={site.error} onRetry={() => void site.refetch()} /></Frame>;
  if (me.error && !isSignedOut && !me.data) return <Frame><Failure error={me.error} onRetry={() => void me.refetch()} /></Frame>;
  return me.data ? <SignedIn me={me.data} /> : <Frame><SkeletonRows rows={4} /></Frame>;
}

function SignedIn({ me }: { me: Schemas["Me"] }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const client = useQueryClient();
  const { get, set } = useUrlState();
  const site = useSite().data;
  const [providers, keys, requests, models] = [useProviders(), useKeys(), useFirstRequests(), useModels()];
  const [added, setAdded] = useState<AddedCredential>();
  const [isHeld, setHeld] = useState(false);
  const [created, setCreated] = useState<Schemas["ApiKeyWithSecret"]>();
  const broken = [providers, keys, requests].find((query) => query.error && !query.data);
  if (broken?.error) return <Frame><Failure error={broken.error} onRetry={() => void broken.refetch()} /></Frame>;
  if (!providers.data || !keys.data || !requests.data) return <Frame><SkeletonRows rows={4} /></Frame>;
  const facts: SetupFacts = {
    needsAdmin: false,
    providers: providers.data.items,
    // A gateway of ordinary APIs needs no provider.
    isProviderSkipped: get("skip") === "provider" || (site !== undefined && !site.llm),
    keys: keys.data,
    requests: requests.data,
  };
  const current = isHeld ? "provider" : currentStep(facts, now);
  const key = created ?? usableKey(keys.data, now);
  const credential = added ? t.setup.accepted(added.key.provider, added.key.label, added.key.last4, format.duration(added.test.latency_ms)) : undefined;
  const results: Partial<Record<StepName, string | undefined>> = {
    admin: me.acts_as === "admin" ? (me.user.email ?? me.user.name) : t.setup.adminExists,
    provider: added?.test.ok ? credential : site && !site.llm ? t.setup.noLlm : providerResult(providers.data.items, t.setup),
    key: key && t.setup.keyResult(key.label, `${key.prefix}_…${key.last4}`),
  };
  const again = (...names: string[]) => names.forEach((name) => void client.invalidateQueries({ queryKey: [name] }));
  const example = site?.llm ? exampleOf(models.data ?? [], site.llm.base_url) : undefined;
  return (
    <Frame current={current} isKnown>
      <Steps current={current} results={results} optional={current === undefined && me.acts_as === "admin" ? { title: t.setup.sell, content: <SellStep /> } : undefined}>
        {current === "provider" && (
          <ProviderStep
            providers={providers.data.items}
            onAdded={(next) => {
              setAdded(next);
              again("providers", "models", "credentials");
            }}
            onSkip={() => set({ skip: "provider" })}
            onHeld={setHeld}
          />
        )}
        {current === "key" && (
          <KeyStep
            onCreated={(next) => {
              setCreated(next);
              again("keys");
            }}
          />
        )}
        {(current === "call" || current === undefined) && <CallStep secret={created?.key} example={example} requests={requests.data} />}
      </Steps>
    </Frame>
  );
}

/** What the step of the provider resulted in, from what the server reports. */
function providerResult(providers: readonly Schemas["Provider"][], words: Messages["setup"]): string {
  const ready = realProviders(providers).filter(({ credential }) => credential.state !== "missing");
  if (ready.length > 0) return words.readyProviders(ready.map(({ name }) => name).join(", "));
  return words.skipped;
}

interface FrameProps {
  current?: StepName | undefined;
  /** Whether the server has reported which steps are finished. */
  isKnown?: boolean;
  children: ReactNode;
}

function Frame({ current, isKnown = false, children }: FrameProps) {
  const t = useMessages();
  const name = useSite().data?.name ?? t.frame.gateway;
  const isDone = isKnown && current === undefined;
  const title = isDone ? t.setup.ready(name) : current ? t.setup.titles[current] : t.setup.title;
  return (
    <div className="fr">
      <PlainHead>
        <span className="t3 md hs">{t.setup.title}</span>
      </PlainHead>
      <main className="fm">
        <div className="fh">
          <h1>{title}</h1>
          <p className="t2">{isDone ? t.setup.readyText : t.setup.text}</p>
          {(isKnown || current) && <Progress current={current} />}
        </div>
        {children}
      </main>
    </div>
  );
}
