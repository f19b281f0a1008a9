import { useTranslation } from "react-i18next";
import { useDirectory } from "./session";

/**
 * Rooms in the reader's language. Answers of the server carry the Chinese name only, which serves until
 * the directory is here.
 */
export function useRoomNames(): {
  room: (roomId: string, known: string) => string;
  roomOf: (deviceId: string | null, known: string) => string;
  /** Of an event, which keeps the name that the room had. */
  roomNamed: (known: string) => string;
} {
  const directory = useDirectory();
  const { i18n } = useTranslation();
  const room = (roomId: string | undefined, known: string) => {
    if (i18n.language !== "en-US") return known;
    return directory?.rooms.find(({ id }) => id === roomId)?.name_en || known;
  };
  return {
    room,
    roomNamed: (known) => room(directory?.rooms.find(({ name }) => name === known)?.id, known),
    roomOf: (deviceId, known) => room(directory?.devices.find(({ id }) => id === deviceId)?.room_id, known),
  };
}
