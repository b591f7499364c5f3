/** English messages. The type of this object is what every other language must have. */
import { account } from "@/messages/en/account";
import { audit } from "@/messages/en/audit";
import { billing } from "@/messages/en/billing";
import { billingAdmin } from "@/messages/en/billing-admin";
import { budgets } from "@/messages/en/budgets";
import { configuration } from "@/messages/en/configuration";
import { copy } from "@/messages/en/copy";
import { day } from "@/messages/en/day";
import { docs } from "@/messages/en/docs";
import { errors } from "@/messages/en/errors";
import { explain } from "@/messages/en/explain";
import { frame } from "@/messages/en/frame";
import { invoices } from "@/messages/en/invoices";
import { keys } from "@/messages/en/keys";
import { landing } from "@/messages/en/landing";
import { limits } from "@/messages/en/limits";
import { models } from "@/messages/en/models";
import { notFound } from "@/messages/en/not-found";
import { overview } from "@/messages/en/overview";
import { palette } from "@/messages/en/palette";
import { pay } from "@/messages/en/pay";
import { plans } from "@/messages/en/plans";
import { playground } from "@/messages/en/playground";
import { providers } from "@/messages/en/providers";
import { register } from "@/messages/en/register";
import { requests } from "@/messages/en/requests";
import { review } from "@/messages/en/review";
import { routes } from "@/messages/en/routes";
import { scope } from "@/messages/en/scope";
import { setup } from "@/messages/en/setup";
import { signIn } from "@/messages/en/sign-in";
import { upstreams } from "@/messages/en/upstreams";
import { usage } from "@/messages/en/usage";
import { users } from "@/messages/en/users";

export const en = { frame, copy, errors, notFound, landing, docs, signIn, overview, requests, keys, usage, playground, palette, models, providers, register, account, users, plans, budgets, audit, setup, configuration, explain, limits, upstreams, routes, scope, day, review, billing, invoices, pay, billingAdmin };

export type Messages = typeof en;
