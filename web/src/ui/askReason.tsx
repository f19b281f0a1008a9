import { Input, type ModalFuncProps } from "antd";
import type { useAppProps } from "antd/es/app/context";
import type { TFunction } from "i18next";
import { useId } from "react";

interface Question {
  title: string;
  ok: string;
  danger?: boolean;
  suggestions?: readonly string[];
  /** Runs with the reason. The dialog stays open while it runs, and when it fails. */
  act: (reason: string) => Promise<unknown>;
}

/** Asks for a reason before an act that the record must explain. Enter answers like the button. */
export function askReason(modal: useAppProps["modal"], t: TFunction, { title, ok, danger = false, suggestions = [], act }: Question): void {
  let reason = "";
  let running = false;
  const dialog = modal.confirm({} as ModalFuncProps);
  const run = async () => {
    if (running || reason.trim() === "") return;
    running = true;
    show();
    try {
      await act(reason.trim());
      dialog.destroy();
    } catch {
      // Whoever acts has said why it failed; the answer stays for another try.
      running = false;
      show();
    }
  };
  const show = () =>
    dialog.update({
      title,
      icon: null,
      focusable: { autoFocusButton: null },
      okText: ok,
      cancelText: t("common:cancel"),
      okButtonProps: { danger, disabled: reason.trim() === "", loading: running },
      content: (
        <ReasonField
          label={t("common:reason.need")}
          suggestions={suggestions}
          onEnter={() => void run()}
          onChange={(text) => {
            reason = text;
            show();
          }}
        />
      ),
      // With a parameter the dialog leaves its closing to us.
      onOk: (_close: () => void) => void run(),
    });
  show();
}

function ReasonField({ label, suggestions, onChange, onEnter }: { label: string; suggestions: readonly string[]; onChange: (text: string) => void; onEnter: () => void }) {
  const list = useId();
  return (
    <>
      <Input
        autoFocus
        aria-label={label}
        placeholder={label}
        maxLength={200}
        list={list}
        onChange={(event) => onChange(event.target.value)}
        onPressEnter={(event) => {
          if (event.nativeEvent.isComposing) return;
          event.preventDefault();
          onEnter();
        }}
      />
      <datalist id={list}>
        {suggestions.map((suggestion) => (
          <option key={suggestion} value={suggestion} />
        ))}
      </datalist>
    </>
  );
}
