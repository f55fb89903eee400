// Who is logged in, and what follows when that ends.

import { Problem, onSessionEnded } from "./api/client";
import { account, server } from "./api/server";
import type { ServerInfo, User } from "./api/types";
import { Live } from "./live.svelte";
import { redirected, remember, remembered, worthAsking } from "./remembered";
import { Router, safeNext } from "./router.svelte";

export const router = new Router();

/** unknown: not asked yet; unreachable: the server did not answer. */
type State = "unknown" | "in" | "out" | "unreachable";

class Session {
  state = $state<State>("unknown");
  user = $state<User>();
  /** Address and version of the server, for the commands that pages show. */
  info = $state<ServerInfo>();

  /** Whether the user may change devices; the server has the last word. */
  mayChange = $derived(this.user !== undefined && this.user.role !== "viewer");

  constructor() {
    onSessionEnded(() => this.ended());
  }

  /** Asks who we are, unless it is plain that nobody is logged in. */
  async begin(): Promise<void> {
    if (!worthAsking(router.route.page, remembered(), redirected())) {
      this.state = "out";
      this.toLogin({});
      return;
    }
    try {
      this.entered(await account.me());
    } catch (error) {
      if (this.state === "out") return; // the answer was 401, and ended() has seen to it
      this.state = error instanceof Problem && error.status === 0 ? "unreachable" : "out";
      if (this.state === "out") this.toLogin({});
    }
  }

  async login(username: string, password: string): Promise<void> {
    await account.login(username, password);
    this.entered(await account.me());
  }

  async logout(): Promise<void> {
    await account.logout().catch(() => {}); // without an answer we leave all the same
    this.leave();
    router.go("/login", true);
  }

  private entered(user: User): void {
    this.user = user;
    this.state = "in";
    remember(true);
    live.start();
    server.info().then(
      (info) => (this.info = info),
      () => {}, // pages then show the default ports
    );
    if (router.route.page === "login") router.go(safeNext(router.query.get("next")), true);
  }

  private ended(): void {
    const wasIn = this.state === "in";
    this.leave();
    this.toLogin(wasIn ? { ended: "1" } : {});
  }

  private leave(): void {
    this.state = "out";
    this.user = undefined;
    remember(false);
    live.stop();
  }

  private toLogin(query: Record<string, string>): void {
    if (router.route.page === "login") return;
    const here = router.path + location.search;
    if (here !== "/") query = { ...query, next: here };
    const text = new URLSearchParams(query).toString();
    router.go("/login" + (text && `?${text}`), true);
  }
}

// A WebSocket does not say why it was refused, so ask by a plain call: a 401
// there ends the session.
export const live = new Live(
  () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live`,
  () => void account.me().catch(() => {}),
);

export const session = new Session();
