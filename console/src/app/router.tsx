import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { base } from "../api/client";
import { queries, readSession } from "../api/queries";
import { Failed, NotFound, Waiting } from "../parts/states";
import { Shell } from "./shell";

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

/** Texts of a query string; what is not a text is left out. */
function texts<const Name extends string>(...names: Name[]) {
  return (search: Record<string, unknown>): Partial<Record<Name, string>> => {
    const found: Partial<Record<Name, string>> = {};
    for (const name of names) {
      const value = search[name];
      if (typeof value === "string" && value !== "") found[name] = value;
      else if (typeof value === "number") found[name] = String(value);
    }
    return found;
  };
}

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: texts("next"),
  component: lazyRouteComponent(() => import("../pages/sign-in/sign-in"), "SignIn"),
});

function link(path: "/setup" | "/invitation" | "/password-reset" | "/email-change", page: Parameters<typeof lazyRouteComponent>[0]) {
  return createRoute({ getParentRoute: () => root, path, validateSearch: texts("token"), component: lazyRouteComponent(page) });
}

const links = [
  link("/setup", () => import("../pages/links/set-up")),
  link("/invitation", () => import("../pages/links/invitation")),
  link("/password-reset", () => import("../pages/links/password-reset")),
  link("/email-change", () => import("../pages/links/email-change")),
];

const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  component: Shell,
  beforeLoad: async ({ location }) => {
    const session = await queries.query({ queryKey: ["session"], queryFn: readSession, staleTime: "static" });
    if (session === null) throw redirect({ to: "/sign-in", search: { next: location.publicHref } });
  },
});

const home = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/webhooks", search: {} });
  },
});

const webhooks = createRoute({
  getParentRoute: () => signedIn,
  path: "/webhooks",
  validateSearch: texts("search"),
  component: lazyRouteComponent(() => import("../pages/webhooks/webhooks"), "Webhooks"),
});

const newWebhook = createRoute({
  getParentRoute: () => signedIn,
  path: "/webhooks/new",
  component: lazyRouteComponent(() => import("../pages/webhook-form/new-webhook"), "NewWebhook"),
});

const webhook = createRoute({
  getParentRoute: () => signedIn,
  path: "/webhooks/$id",
  validateSearch: texts("status", "event", "tab"),
  component: lazyRouteComponent(() => import("../pages/webhook/webhook"), "WebhookPage"),
});

const editWebhook = createRoute({
  getParentRoute: () => signedIn,
  path: "/webhooks/$id/edit",
  component: lazyRouteComponent(() => import("../pages/webhook-form/edit-webhook"), "EditWebhook"),
});

const reviewWebhook = createRoute({
  getParentRoute: () => signedIn,
  path: "/webhooks/$id/review",
  component: lazyRouteComponent(() => import("../pages/review/review"), "Review"),
});

const delivery = createRoute({
  getParentRoute: () => signedIn,
  path: "/deliveries/$id",
  component: lazyRouteComponent(() => import("../pages/delivery/delivery"), "DeliveryPage"),
});

const errorLog = createRoute({
  getParentRoute: () => signedIn,
  path: "/error-log",
  validateSearch: texts("webhook", "event", "status"),
  component: lazyRouteComponent(() => import("../pages/error-log/error-log"), "ErrorLog"),
});

const events = createRoute({
  getParentRoute: () => signedIn,
  path: "/events",
  validateSearch: texts("visitor", "account", "event", "withheld"),
  component: lazyRouteComponent(() => import("../pages/events/events"), "Events"),
});

const event = createRoute({
  getParentRoute: () => signedIn,
  path: "/events/$id",
  component: lazyRouteComponent(() => import("../pages/events/event"), "EventPage"),
});

const users = createRoute({
  getParentRoute: () => signedIn,
  path: "/users",
  component: lazyRouteComponent(() => import("../pages/settings/users"), "Users"),
});

const keys = createRoute({
  getParentRoute: () => signedIn,
  path: "/keys",
  component: lazyRouteComponent(() => import("../pages/settings/keys"), "Keys"),
});

const apps = createRoute({
  getParentRoute: () => signedIn,
  path: "/apps",
  component: lazyRouteComponent(() => import("../pages/settings/apps"), "Apps"),
});

const auditLog = createRoute({
  getParentRoute: () => signedIn,
  path: "/audit-log",
  validateSearch: texts("action"),
  component: lazyRouteComponent(() => import("../pages/settings/audit-log"), "AuditLog"),
});

const exclusions = createRoute({
  getParentRoute: () => signedIn,
  path: "/exclusions",
  component: lazyRouteComponent(() => import("../pages/settings/exclusions"), "Exclusions"),
});

const inspector = createRoute({
  getParentRoute: () => signedIn,
  path: "/inspector",
  component: lazyRouteComponent(() => import("../pages/inspector/inspector"), "Inspector"),
});

const start = createRoute({
  getParentRoute: () => signedIn,
  path: "/start",
  component: lazyRouteComponent(() => import("../pages/start/start"), "Start"),
});

const mails = createRoute({
  getParentRoute: () => signedIn,
  path: "/mails",
  component: lazyRouteComponent(() => import("../pages/settings/mails"), "Mails"),
});

const profile = createRoute({
  getParentRoute: () => signedIn,
  path: "/profile",
  component: lazyRouteComponent(() => import("../pages/profile/profile"), "Profile"),
});

const visitors = createRoute({
  getParentRoute: () => signedIn,
  path: "/visitors",
  validateSearch: texts("prefix"),
  component: lazyRouteComponent(() => import("../pages/people/people"), "Visitors"),
});

const visitor = createRoute({
  getParentRoute: () => signedIn,
  path: "/visitors/$id",
  component: lazyRouteComponent(() => import("../pages/people/person"), "VisitorPage"),
});

const accounts = createRoute({
  getParentRoute: () => signedIn,
  path: "/accounts",
  validateSearch: texts("prefix"),
  component: lazyRouteComponent(() => import("../pages/people/people"), "Accounts"),
});

const account = createRoute({
  getParentRoute: () => signedIn,
  path: "/accounts/$id",
  component: lazyRouteComponent(() => import("../pages/people/person"), "AccountPage"),
});

const privacy = createRoute({
  getParentRoute: () => signedIn,
  path: "/privacy",
  component: lazyRouteComponent(() => import("../pages/privacy/privacy"), "Privacy"),
});

const guides = createRoute({
  getParentRoute: () => signedIn,
  path: "/guides",
  validateSearch: texts("state"),
  component: lazyRouteComponent(() => import("../pages/guides/guides"), "Guides"),
});

const newGuide = createRoute({
  getParentRoute: () => signedIn,
  path: "/guides/new",
  component: lazyRouteComponent(() => import("../pages/guides/new-guide"), "NewGuide"),
});

const guide = createRoute({
  getParentRoute: () => signedIn,
  path: "/guides/$id",
  component: lazyRouteComponent(() => import("../pages/guides/guide"), "GuidePage"),
});

const apiReference = createRoute({
  getParentRoute: () => signedIn,
  path: "/api-reference",
  component: lazyRouteComponent(() => import("../pages/api-reference/api-reference"), "ApiReference"),
});

const routeTree = root.addChildren([
  signIn,
  ...links,
  signedIn.addChildren([
    home, webhooks, newWebhook, webhook, editWebhook, reviewWebhook, delivery, errorLog, events, event,
    users, keys, apps, auditLog, exclusions, inspector, start, mails, profile,
    visitors, visitor, accounts, account, privacy, guides, newGuide, guide,
    apiReference,
  ]),
]);

export const router = createRouter({
  routeTree,
  basepath: base.pathname,
  defaultPreload: "intent",
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} again={reset} />,
  defaultPendingComponent: Waiting,
  defaultNotFoundComponent: NotFound,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
