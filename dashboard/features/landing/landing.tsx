"use client";

import { Bot, CircleAlert, KeyRound, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

import { buttonClass } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Note } from "@/components/ui/note";
import { Failure } from "@/components/ui/states";
import { PublicFrame } from "@/features/frame/public-frame";
import { CodeTabs } from "@/features/landing/code-tabs";
import { Gate } from "@/features/landing/gate";
import { Receipt } from "@/features/landing/receipt";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

/** The first page: what the gateway is, its addresses, and how to call it. */
export function Landing() {
  const t = useMessages();
  const site = useSite();
  const hasLlm = !site.data || site.data.llm !== null;
  const words = hasLlm ? t.landing : t.landing.apis;
  return (
    <PublicFrame title={words.title}>
      <section className="cw hero">
        <div>
          <h1>{words.title}</h1>
          <p className="lead">{words.lead(site.data?.name ?? t.frame.gateway)}</p>
          {site.data?.needs_setup && (
            <div className="mb-5 max-w-[46ch]">
              <Note title={t.signIn.needsSetup}>
                <a className="link" href="/dashboard/setup">{t.signIn.setUp}</a>
              </Note>
            </div>
          )}
          <div className="row wrap gap-2.5">
            <a className={buttonClass({ look: "primary", size: "large" })} href="/dashboard/login">
              {t.landing.signIn}
            </a>
            <a className={buttonClass({ size: "large" })} href="/docs#key">
              {t.landing.getKey}
            </a>
          </div>
          {site.isError ? <Failure error={site.error} onRetry={() => void site.refetch()} /> : <BaseUrls />}
        </div>
        <div className="stack gap-5">
          <CodeTabs />
          {hasLlm && <Receipt />}
        </div>
      </section>
      <section className="band">
        <div className="cw three">
          <Gate hasLlm={hasLlm} />
          <div>
            <h2>{t.landing.happens}</h2>
            <ol className="steps">
              {words.steps.map(([what, how]) => (
                <li key={what}>
                  <b>{what}</b> {how}
                </li>
              ))}
            </ol>
          </div>
        </div>
      </section>
      <section className="cw info">
        <Info icon={KeyRound} title={t.landing.gettingKey} href="/docs#key" link={t.landing.gettingKeyLink}>
          {t.landing.gettingKeyText}
        </Info>
        <Info icon={CircleAlert} title={t.landing.refused} href="/docs#errors" link={t.landing.refusedLink}>
          {t.landing.refusedText("quota_exceeded")}
        </Info>
        {hasLlm && (
          <Info icon={Bot} title={t.landing.agents} href="/docs#agents" link={t.landing.agentsLink}>
            {t.landing.agentsText}
          </Info>
        )}
      </section>
    </PublicFrame>
  );
}

function BaseUrls() {
  const t = useMessages();
  const site = useSite();
  const base = site.data?.llm?.base_url;
  if (site.data && !base) return <p className="t2 mt-10">{t.landing.noLlm}</p>;
  const rows = [
    { label: t.landing.openAi, url: base && `${base}/v1`, uses: t.landing.openAiUses },
    { label: t.landing.anthropic, url: base, uses: t.landing.anthropicUses },
    { label: t.landing.google, url: base, uses: t.landing.googleUses },
  ];
  return (
    <div className="urls panel">
      {rows.map(({ label, url, uses }) => (
        <div className="bu" key={label}>
          <span className="hint">{label}</span>
          <div className="row">
            {url ? (
              <>
                <code className="mono trunc" title={url}>{url}</code>
                <CopyButton text={url} what={label} />
              </>
            ) : (
              <i className="sk w-52" />
            )}
          </div>
          <span className="hint">{uses}</span>
        </div>
      ))}
    </div>
  );
}

function Info({ icon: Icon, title, href, link, children }: { icon: LucideIcon; title: string; href: string; link: string; children: ReactNode }) {
  return (
    <div>
      <h2>
        <Icon className="i" aria-hidden />
        {title}
      </h2>
      <p>{children}</p>
      <a className="link" href={href}>
        {link}
      </a>
    </div>
  );
}
