import { afterEach, describe, expect, it, vi } from "vitest";
import { broker } from "../../lib/api/broker";
import type { Client, ClientPage } from "../../lib/api/types";
import { ClientList } from "./clientList.svelte";

const client = (user: string) => ({ session: user, user }) as Client;

// Three pages; the cursor of a page is its name.
const PAGES: Record<string, ClientPage> = {
  "": { items: [client("a")], next: "second", total: 101 },
  second: { items: [client("b")], next: "third", total: 101 },
  third: { items: [client("c")], total: 101 },
};

function serve(pages: Record<string, ClientPage>) {
  return vi.spyOn(broker, "clients").mockImplementation((query) => Promise.resolve(pages[query.cursor ?? ""]!));
}

const shown = (list: ClientList) => [list.clients.map((c) => c.user).join(), list.page, list.pages];

afterEach(() => vi.restoreAllMocks());

describe("the pages of the connections", () => {
  it("lead forth and back by the cursors of the server", async () => {
    serve(PAGES);
    const list = new ClientList("");
    await list.refresh();
    expect(shown(list)).toEqual(["a", 1, 3]);
    await list.turn(2);
    await list.turn(3);
    expect(shown(list)).toEqual(["c", 3, 3]);
    await list.turn(2);
    expect(shown(list)).toEqual(["b", 2, 3]);
  });

  it("begin again with a search", async () => {
    const asked = serve(PAGES);
    const list = new ClientList("");
    await list.refresh();
    await list.turn(2);
    await list.search("pump");
    expect(asked.mock.lastCall?.[0]).toEqual({ q: "pump", limit: 50, cursor: "" });
    expect(list.page).toBe(1);
  });

  it("go back where everybody of a page has gone", async () => {
    serve(PAGES);
    const list = new ClientList("");
    await list.refresh();
    await list.turn(2);
    vi.restoreAllMocks();
    serve({ "": { items: [client("a")], total: 1 }, second: { items: [], total: 1 } });
    await list.refresh();
    expect(shown(list)).toEqual(["a", 1, 1]);
  });

  it("go back where fewer are left than the pages before have room for", async () => {
    serve(PAGES);
    const list = new ClientList("");
    await list.refresh();
    await list.turn(2);
    await list.turn(3);
    vi.restoreAllMocks();
    serve({ "": { items: [client("a")], next: "second", total: 60 }, second: { items: [client("b")], total: 60 }, third: { items: [client("c")], total: 60 } });
    await list.refresh();
    expect(shown(list)).toEqual(["b", 2, 2]);
  });

  it("stay while the server does not answer, and say so", async () => {
    serve(PAGES);
    const list = new ClientList("");
    await list.refresh();
    vi.spyOn(broker, "clients").mockRejectedValue(new Error("away"));
    await list.refresh();
    expect([...shown(list), list.error]).toEqual(["a", 1, 3, "away"]);
  });
});
