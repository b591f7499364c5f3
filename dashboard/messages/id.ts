/** Indonesian messages. */
import type { Messages } from "@/messages/en";
import { account } from "@/messages/id/account";
import { audit } from "@/messages/id/audit";
import { budgets } from "@/messages/id/budgets";
import { configuration } from "@/messages/id/configuration";
import { copy } from "@/messages/id/copy";
import { docs } from "@/messages/id/docs";
import { errors } from "@/messages/id/errors";
import { explain } from "@/messages/id/explain";
import { frame } from "@/messages/id/frame";
import { keys } from "@/messages/id/keys";
import { landing } from "@/messages/id/landing";
import { limits } from "@/messages/id/limits";
import { models } from "@/messages/id/models";
import { notFound } from "@/messages/id/not-found";
import { overview } from "@/messages/id/overview";
import { palette } from "@/messages/id/palette";
import { plans } from "@/messages/id/plans";
import { playground } from "@/messages/id/playground";
import { providers } from "@/messages/id/providers";
import { register } from "@/messages/id/register";
import { requests } from "@/messages/id/requests";
import { setup } from "@/messages/id/setup";
import { signIn } from "@/messages/id/sign-in";
import { usage } from "@/messages/id/usage";
import { users } from "@/messages/id/users";

export const id: Messages = { frame, copy, errors, notFound, landing, docs, signIn, overview, requests, keys, usage, playground, palette, models, providers, register, account, users, plans, budgets, audit, setup, configuration, explain, limits };
