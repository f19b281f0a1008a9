import { useNavigate, useSearch } from "@tanstack/react-router";
import { Select } from "antd";
import { useTranslation } from "react-i18next";
import { useDirectory } from "@/api/session";
import type { Directory, Room } from "@/api/types";
import { named } from "@/lib/i18n";

const KEY = "mingying.room";

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Rooms in which something can be examined. */
export function examRooms(directory: Directory | undefined): Room[] {
  if (!directory) return [];
  const used = new Set(directory.devices.filter(({ active }) => active).map(({ room_id }) => room_id));
  return directory.rooms.filter(({ id }) => used.has(id));
}

/** The room in the URL, else the one this workstation was last used for. */
export function useRoom(): [Room | undefined, (id: string) => void] {
  const directory = useDirectory();
  const search: { room?: string } = useSearch({ strict: false });
  const navigate = useNavigate();
  const rooms = examRooms(directory);
  const wanted = search.room ?? remembered();
  const room = rooms.find(({ id }) => id === wanted) ?? (search.room === undefined ? rooms[0] : undefined);
  return [
    room,
    (id) => {
      try {
        localStorage.setItem(KEY, id);
      } catch {
        // The URL holds it as well.
      }
      void navigate({ to: ".", search: (before) => ({ ...before, room: id }), replace: true });
    },
  ];
}

export function RoomPicker({ room, onChange, all = false }: { room: string; onChange: (id: string) => void; all?: boolean }) {
  const { t, i18n } = useTranslation("flow");
  const directory = useDirectory();
  const options = examRooms(directory).map((each) => ({
    value: each.id,
    label: `${named(each, i18n.language)} · ${(directory?.devices ?? []).filter(({ room_id }) => room_id === each.id).map(({ name }) => name).join(" ")}`,
  }));
  return (
    <Select
      value={room || (all ? "" : undefined)}
      onChange={onChange}
      aria-label={t("room")}
      placeholder={t("room")}
      loading={directory === undefined}
      showSearch={{ optionFilterProp: "label" }}
      options={all ? [{ value: "", label: t("room_all") }, ...options] : options}
      style={{ minWidth: 200, maxWidth: "100%" }}
    />
  );
}
