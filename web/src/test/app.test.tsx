import { cleanup, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { setCsrf } from "@/api/client";
import { renderApp } from "./renderApp";
import { TestServer } from "./server";

afterEach(() => {
  cleanup();
  setCsrf(null);
  vi.unstubAllGlobals();
  localStorage.clear();
});

// Ant Design in jsdom on a busy machine.
const slow = 60_000;

describe("signing in", () => {
  it("keeps the deep link, tells a wrong password, and asks for the second factor", { timeout: slow }, async () => {
    const server = new TestServer();
    server.signedIn = false;
    const { user } = renderApp("/admin/users?x=1", server);
    await user.type(await screen.findByLabelText("User name"), "factor");
    await user.type(screen.getByLabelText("Password"), "wrong{Enter}");
    expect(await screen.findByText("User name or password is not right")).toBeTruthy();
    await user.clear(screen.getByLabelText("Password"));
    await user.type(screen.getByLabelText("Password"), "right-password{Enter}");
    await user.type(await screen.findByLabelText("Code"), "123456");
    await waitFor(() => expect(window.location.pathname).toBe("/admin/users"));
    expect(await screen.findByRole("table", { name: "Users" })).toBeTruthy();
    const sent = server.calls.filter(({ method, path }) => method === "POST" && path === "/session").map(({ body }) => body);
    expect(sent.at(-1)).toEqual({ username: "factor", password: "right-password", code: "123456" });
  });

  it("returns to the sign-in page when the session ends", { timeout: slow }, async () => {
    const { server } = renderApp("/admin/users");
    expect(await screen.findByRole("table", { name: "Users" })).toBeTruthy();
    server.signedIn = false;
    const { api } = await import("@/api/client");
    await expect(api.get("/users")).rejects.toMatchObject({ code: "login.required" });
    expect(await screen.findByLabelText("User name")).toBeTruthy();
    expect(window.location.search).toContain("next=");
  });
});

describe("the rail", () => {
  it("shows only what the policy allows", { timeout: slow }, async () => {
    const server = new TestServer();
    const whole = server.session();
    vi.spyOn(server, "session").mockReturnValue({ ...whole, actions: ["queue.read", "queue.call", "catalogue.read"] });
    renderApp("/", server);
    const rail = await screen.findByRole("navigation", { name: "Main navigation" });
    expect(within(rail).getAllByRole("link").map((link) => link.textContent)).toEqual(["", "Queue"]);
    await waitFor(() => expect(window.location.pathname).toBe("/queue"));
  });
});

describe("the desk", () => {
  it("registers from an identity card without the mouse", { timeout: slow }, async () => {
    const { server, user } = renderApp("/desk/visit");
    const search = await screen.findByLabelText("Find a patient");
    await waitFor(() => expect(document.activeElement).toBe(search));
    await user.paste("11010519491231002X");
    await user.keyboard("{Enter}");
    const name = await screen.findByLabelText(/^Name/);
    expect((screen.getByLabelText("Birth date") as HTMLInputElement).value).toBe("1949-12-31");
    await waitFor(() => expect(document.activeElement).toBe(name));
    await user.paste("Zhao Liu");
    await user.keyboard("{Control>}{Enter}{/Control}");
    await waitFor(() => expect(window.location.search).toMatch(/^\?patient=p/));
    expect(server.calls.find(({ method, path }) => method === "POST" && path === "/patients")?.body).toMatchObject({
      name: "Zhao Liu",
      sex: "F",
      birth_date: "1949-12-31",
      identifiers: [{ kind: "id_card", value: "11010519491231002X" }],
    });
  });

  it("orders by pinyin initials and goes on to the booking", { timeout: slow }, async () => {
    const { server, user } = renderApp("/desk/visit?patient=p2");
    const exams = await screen.findByLabelText("Exams", { selector: "input" });
    await screen.findByText("Head CT");
    await waitFor(() => expect(document.activeElement).toBe(exams));
    await user.paste("tlct");
    await user.keyboard("{Enter}{Control>}{Enter}{/Control}");
    expect(await screen.findByText("Enter the department")).toBeTruthy();
    const fill = async (label: string, text: string) => {
      await user.click(screen.getByLabelText(label, { selector: "input" }));
      await user.paste(text);
    };
    await fill("Department", "Respiratory Medicine");
    await fill("Physician", "Zhou");
    await fill("Diagnosis", "headache");
    await user.keyboard("{Control>}{Enter}{/Control}");
    await waitFor(() => expect(server.calls.some(({ method, path }) => method === "POST" && path === "/orders")).toBe(true));
    expect(server.calls.find(({ method, path }) => method === "POST" && path === "/orders")?.body).toMatchObject({
      patient_id: "p2",
      items: [{ catalogue_id: "i3", side: null }],
      department: "Respiratory Medicine",
      physician: "Zhou",
      diagnosis: "headache",
    });
    await waitFor(() => expect(document.querySelector("[data-at]")).toBeTruthy());
    await waitFor(() => expect(document.querySelector("[data-at]:focus, [class*=board]:focus")).toBeTruthy());
    await user.keyboard("{PageDown}");
    const chosen = await waitFor(() => {
      const cell = document.querySelector<HTMLElement>('[data-at][aria-selected="true"]');
      if (!cell) throw new Error("no time chosen yet");
      return cell;
    });
    chosen.focus();
    await user.keyboard("{Enter}");
    await waitFor(() => expect(server.orders.at(-1)?.state).toBe("scheduled"));
  });

  it("walks the day's list with arrow keys", { timeout: slow }, async () => {
    const { user } = renderApp("/desk");
    const table = await screen.findByRole("table", { name: "Desk" });
    const rows = await waitFor(() => {
      const found = within(table).getAllByRole("row").slice(1);
      if (found.length < 3 || !found[0]?.hasAttribute("tabindex")) throw new Error("not loaded");
      return found;
    });
    // Nothing has the focus: the first arrow reaches the list, the others walk it.
    await user.keyboard("{ArrowDown}{ArrowDown}{ArrowDown}");
    expect(document.activeElement).toBe(rows[2]);
    await user.keyboard("{Home}{Enter}");
    await waitFor(() => expect(window.location.pathname).toMatch(/^\/orders\/o/));
  });
});

describe("the keys", () => {
  it("of the open page stand in the help of ?, which typing does not open", { timeout: slow }, async () => {
    const { user } = renderApp("/desk");
    await user.click(await screen.findByLabelText("Name, pinyin, accession or record number", { selector: "input" }));
    await user.keyboard("?");
    expect(screen.queryByRole("dialog")).toBeNull();
    await user.click(screen.getByRole("heading", { level: 1 }));
    await user.keyboard("?");
    const help = await screen.findByRole("dialog", { name: "Keys" });
    expect(within(help).getByText("Check in")).toBeTruthy();
    expect(within(help).getByText("Go to Queue")).toBeTruthy();
    expect(within(help).queryByText("Call the next patient")).toBeNull();
  });
});

describe("the exam room", () => {
  it("calls, lets in, starts and completes with single keys, asking why there are no images", { timeout: slow }, async () => {
    const { server, user } = renderApp("/exam?room=r1");
    await screen.findByRole("heading", { level: 2, name: "张伟国" });
    const state = () => server.queue[0]?.state;
    await user.keyboard("e");
    await waitFor(() => expect(state()).toBe("in_room"));
    await screen.findByRole("button", { name: /Start exam/ });
    await waitFor(() => expect((screen.getByRole("button", { name: /Start exam/ }) as HTMLButtonElement).disabled).toBe(false));
    await user.keyboard("b");
    await waitFor(() => expect(server.orders[0]?.state).toBe("in_progress"));
    await screen.findByRole("button", { name: /Complete/ });
    await user.keyboard("c");
    const dialog = await screen.findByRole("dialog");
    await user.type(within(dialog).getByLabelText("Give a reason"), "Device is offline{Enter}");
    await waitFor(() => expect(server.orders[0]?.state).toBe("completed"));
    expect(server.calls.filter(({ path }) => path.endsWith("/complete")).map(({ body }) => body)).toEqual([{}, { reason: "Device is offline" }]);
  });
});

describe("the archive", () => {
  it("deletes a study with a reason and brings it back", { timeout: slow }, async () => {
    const { server, user } = renderApp("/unmatched");
    await user.click(await screen.findByRole("button", { name: "More about this study" }));
    await user.click(await screen.findByRole("menuitem", { name: /Delete images/ }));
    const dialog = await screen.findByRole("dialog");
    // It says whose images and how many, and does nothing without a reason.
    expect(await within(dialog).findByText("李思")).toBeTruthy();
    await user.click(within(dialog).getByRole("button", { name: "Delete 120 images" }));
    expect(await within(dialog).findByText("Choose a reason", { selector: ".ant-form-item-explain-error" })).toBeTruthy();
    expect(server.deletions).toEqual([]);
    const choose = async (reason: string) => {
      await user.click(within(dialog).getByLabelText("Reason"));
      await user.click(await screen.findByText(reason, { selector: ".ant-select-item-option-content" }));
    };
    await choose("Retention time is over");
    await user.click(within(dialog).getByRole("button", { name: "Delete 120 images" }));
    expect(await within(dialog).findByText(/must be kept until 2056-03-02/)).toBeTruthy();
    await choose("Image quality");
    await user.type(within(dialog).getByLabelText("Note"), "motion");
    await user.click(within(dialog).getByRole("button", { name: "Delete 120 images" }));
    await waitFor(() => expect(server.deletions).toHaveLength(1));
    expect(server.calls.findLast(({ path }) => path === "/deletions")?.body).toEqual({ study_uid: "1.2.3", reason: "quality", note: "motion" });
    cleanup();

    const later = renderApp("/admin/deletions", server);
    const table = await screen.findByRole("table", { name: "Deleted images" });
    expect(await within(table).findByText("30 days left")).toBeTruthy();
    await later.user.click(within(table).getByRole("button", { name: /Restore/ }));
    await later.user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Restore" }));
    await waitFor(() => expect(server.deletions[0]?.state).toBe("restored"));
    expect(await screen.findByText("No deleted images")).toBeTruthy();
  });

  it("offers deletion to nobody who may not", { timeout: slow }, async () => {
    const server = new TestServer();
    const whole = server.session();
    vi.spyOn(server, "session").mockReturnValue({ ...whole, actions: whole.actions.filter((action) => action !== "study.delete") });
    renderApp("/unmatched", server);
    expect(await screen.findByRole("button", { name: /Link/ })).toBeTruthy();
    expect(screen.queryByRole("button", { name: "More about this study" })).toBeNull();
  });

  it("shows what is wrong with the storage and starts a check", { timeout: slow }, async () => {
    const { server, user } = renderApp("/admin/storage");
    expect(await screen.findByText("Running out of room")).toBeTruthy();
    expect(screen.getByText("7 days")).toBeTruthy();
    expect(screen.getByText("99.0 % (99 found, 1 made)")).toBeTruthy();
    const damage = screen.getByRole("table", { name: "Damaged places" });
    expect(within(damage).getByText("1.2.3.4.5")).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Check now" }));
    await waitFor(() => expect(server.calls.some(({ method, path }) => method === "POST" && path === "/storage/check")).toBe(true));
    await waitFor(() => expect((screen.getByRole("button", { name: "Check now" }) as HTMLButtonElement).disabled).toBe(true));
  });
});
