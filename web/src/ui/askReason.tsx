import { Input, type ModalFuncProps } from "antd";
import type { useAppProps } from "antd/es/app/context";
import type { TFunction } from "i18next";

/**
 * Asks for a reason before an act that the record must explain. `act` runs with the reason; the dialog
 * stays open while it runs and when it fails.
 */
export function askReason(
  modal: useAppProps["modal"],
  t: TFunction,
  { title, ok, danger = false, suggestions = [], act }: { title: string; ok: string; danger?: boolean; suggestions?: readonly string[]; act: (reason: string) => Promise<unknown> },
): void {
  let reason = "";
  const dialog = modal.confirm({} as ModalFuncProps);
  const show = () =>
    dialog.update({
      title,
      icon: null,
      autoFocusButton: null,
      okText: ok,
      cancelText: t("common:cancel"),
      okButtonProps: { danger, disabled: reason.trim() === "" },
      content: (
        <ReasonField
          label={t("common:reason.need")}
          suggestions={suggestions}
          onChange={(text) => {
            reason = text;
            show();
          }}
        />
      ),
      onOk: () => act(reason.trim()),
    });
  show();
}

function ReasonField({ label, suggestions, onChange }: { label: string; suggestions: readonly string[]; onChange: (text: string) => void }) {
  const list = `reason-${suggestions.length}`;
  return (
    <>
      <Input autoFocus aria-label={label} placeholder={label} maxLength={200} list={list} onChange={(event) => onChange(event.target.value)} />
      <datalist id={list}>
        {suggestions.map((suggestion) => (
          <option key={suggestion} value={suggestion} />
        ))}
      </datalist>
    </>
  );
}
