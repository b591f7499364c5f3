/** Indonesian messages. */
import type { Messages } from "@/messages/en";
import { account } from "@/messages/id/account";
import { audit } from "@/messages/id/audit";
import { budgets } from "@/messages/id/budgets";
import { copy } from "@/messages/id/copy";
import { docs } from "@/messages/id/docs";
import { errors } from "@/messages/id/errors";
import { frame } from "@/messages/id/frame";
import { keys } from "@/messages/id/keys";
import { landing } from "@/messages/id/landing";
import { notFound } from "@/messages/id/not-found";
import { overview } from "@/messages/id/overview";
import { plans } from "@/messages/id/plans";
import { register } from "@/messages/id/register";
import { requests } from "@/messages/id/requests";
import { setup } from "@/messages/id/setup";
import { signIn } from "@/messages/id/sign-in";
import { usage } from "@/messages/id/usage";
import { users } from "@/messages/id/users";

export const id: Messages = { frame, copy, errors, notFound, landing, docs, signIn, overview, requests, keys, usage, register, account, users, plans, budgets, audit, setup };
