"use client";

import { z } from "zod";

import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { SelectField } from "@/components/ui/select-field";
import { usePlans } from "@/features/plans/use-plans";
import type { IssuedLink } from "@/features/users/link-dialog";
import type { UserTask } from "@/features/users/user-table";
import { type User, useUserChanges } from "@/features/users/use-users";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";
import type { Messages } from "@/messages/en";

const NAME_MAX = 200;

interface DialogProps {
  onClose(): void;
  onLink(link: IssuedLink): void;
}

/** Value and text of each plan. */
function usePlanOptions(): [string, string][] {
  return (usePlans().data ?? []).map(({ name }) => [name, name]);
}

function nameShape(t: Messages) {
  return z.string().trim().min(1, t.register.nameMissing).max(NAME_MAX, t.register.nameLong);
}

function emailShape(t: Messages) {
  return z.string().trim().regex(/^[^\s@]+@[^\s@]+$/, t.register.emailMissing);
}

function roles(t: Messages): [string, string][] {
  return [["member", t.frame.roles.member], ["admin", t.frame.roles.admin]];
}

function roleOf(text: string): "admin" | "member" {
  return text === "admin" ? "admin" : "member";
}

export function CreateUserDialog({ onClose, onLink }: DialogProps) {
  const t = useMessages();
  const { create } = useUserChanges();
  const plans = usePlanOptions();
  // Only a person has an e-mail address and a role.
  const shape = z
    .object({ kind: z.string(), name: nameShape(t), email: z.string(), plan: z.string().min(1, t.users.planMissing), role: z.string() })
    .superRefine(({ kind, email }, context) => {
      if (kind === "person" && !emailShape(t).safeParse(email).success) context.addIssue({ code: "custom", path: ["email"], message: t.register.emailMissing });
    });
  const form = useForm(shape, { kind: "person", name: "", email: "", plan: "", role: "member" }, async ({ kind, name, email, plan, role }) => {
    const body = kind === "service" ? { kind: "service" as const, name, plan } : { name, email: email.trim(), plan, role: roleOf(role) };
    await create.mutateAsync(body).then(
      ({ user, password_link: link }) => {
        if (link) onLink({ kind: "created", name: user.name, url: link.url, expiresAt: link.expires_at });
        else onClose();
      },
      () => undefined,
    );
  });
  const isPerson = form.field("kind").value === "person";
  return (
    <FormDialog title={t.users.create} text={t.users.createText} action={t.users.create} isBusy={form.busy} error={create.error} onSubmit={form.submit} onClose={onClose}>
      <SelectField label={t.users.kind} options={[["person", t.users.person], ["service", t.users.service]]} {...form.field("kind")} />
      <Field label={t.register.name} autoComplete="off" autoFocus {...form.field("name")} />
      {isPerson && <Field label={t.register.email} type="email" autoComplete="off" {...form.field("email")} />}
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label={t.users.plan} options={[["", t.users.choosePlan], ...plans]} {...form.field("plan")} />
        {isPerson && <SelectField label={t.users.role} hint={t.users.roleHint} options={roles(t)} {...form.field("role")} />}
      </div>
    </FormDialog>
  );
}

export function InviteDialog({ onClose, onLink }: DialogProps) {
  const t = useMessages();
  const { invite } = useUserChanges();
  const plans = usePlanOptions();
  const shape = z.object({ email: z.union([z.literal(""), emailShape(t)]), plan: z.string() });
  const form = useForm(shape, { email: "", plan: "" }, async ({ email, plan }) => {
    const body = { ...(email && { email }), ...(plan && { plan }) };
    await invite.mutateAsync(body).then(
      (created) => onLink({ kind: "invite", name: created.email ?? t.users.anybody, url: created.url, expiresAt: created.expires_at }),
      () => undefined,
    );
  });
  return (
    <FormDialog title={t.users.invite} text={t.users.inviteText} action={t.users.inviteSubmit} isBusy={form.busy} error={invite.error} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.register.email} hint={t.users.inviteEmailHint} type="email" autoComplete="off" autoFocus placeholder={t.users.anybody} {...form.field("email")} />
      <SelectField label={t.users.plan} options={[["", t.users.defaultPlan], ...plans]} {...form.field("plan")} />
    </FormDialog>
  );
}

function EditUserDialog({ user, onClose }: { user: User; onClose(): void }) {
  const t = useMessages();
  const { change } = useUserChanges();
  const plans = usePlanOptions();
  const isSelf = useMe().data?.user.id === user.id;
  const shape = z.object({ name: nameShape(t), plan: z.string(), role: z.string() });
  const form = useForm(shape, { name: user.name, plan: user.plan, role: user.role }, async ({ name, plan, role }) => {
    // The request contains only the changed fields, so that it does not undo the change of another admin.
    const body = {
      ...(name !== user.name && { name }),
      ...(plan !== user.plan && { plan }),
      ...(role !== user.role && { role: roleOf(role) }),
    };
    if (Object.keys(body).length === 0) return onClose();
    await change.mutateAsync({ id: user.id, body }).then(onClose, () => undefined);
  });
  return (
    <FormDialog title={t.users.editTitle(user.name)} action={t.users.save} isBusy={form.busy} error={change.error} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.register.name} autoComplete="off" autoFocus {...form.field("name")} />
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label={t.users.plan} hint={t.users.planHint} options={plans} {...form.field("plan")} />
        {user.kind === "person" && <SelectField label={t.users.role} hint={isSelf ? t.users.ownRole : t.users.roleHint} options={roles(t)} {...form.field("role")} />}
      </div>
    </FormDialog>
  );
}

/** The dialog of an action on one user. */
export function UserTaskDialog({ task: { kind, user }, onClose, onLink }: DialogProps & { task: UserTask }) {
  const t = useMessages();
  const { change, passwordLink, endSessions } = useUserChanges();
  const common = { onClose };
  switch (kind) {
    case "edit":
      return <EditUserDialog user={user} onClose={onClose} />;
    case "link":
      return (
        <ConfirmDialog
          {...common}
          title={t.users.linkTitle(user.name)}
          text={t.users.linkText}
          action={t.users.linkSubmit}
          look="primary"
          isBusy={passwordLink.isPending}
          error={passwordLink.error}
          // A callback of `mutate` would be dropped with the dialog, and the link is in this response only.
          onConfirm={() => void passwordLink.mutateAsync(user.id).then(
            ({ url, expires_at }) => onLink({ kind: "password", name: user.name, url, expiresAt: expires_at }),
            () => undefined,
          )}
        />
      );
    case "sign-out":
      return (
        <ConfirmDialog
          {...common}
          title={t.users.signOutTitle(user.name)}
          text={t.users.signOutText}
          action={t.users.signOut}
          isBusy={endSessions.isPending}
          error={endSessions.error}
          onConfirm={() => endSessions.mutate(user.id, { onSuccess: onClose })}
        />
      );
    case "suspend":
    case "activate": {
      const isSuspension = kind === "suspend";
      return (
        <ConfirmDialog
          {...common}
          title={isSuspension ? t.users.suspendTitle(user.name) : t.users.activateTitle(user.name)}
          text={isSuspension ? t.users.suspendText : t.users.activateText}
          action={isSuspension ? t.users.suspend : t.users.activate}
          look={isSuspension ? "danger" : "primary"}
          isBusy={change.isPending}
          error={change.error}
          onConfirm={() => change.mutate({ id: user.id, body: { status: isSuspension ? "suspended" : "active" } }, { onSuccess: onClose })}
        />
      );
    }
  }
}
