import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App } from "antd";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useMay } from "@/api/session";
import type { Phrase } from "@/api/types";
import { EMPTY, PhraseForm, type NewOrOld } from "./PhraseForm";
import { contentOf, phraseCalls, phrasesQuery } from "./phrases";

const distinct = (values: readonly string[]): string[] => [...new Set(values)].filter((value) => value !== "").sort();

/** The dialog for a phrase, for the page of phrases and for the report where one keeps what one has just written. */
export function usePhraseForm(): {
  dialog: ReactNode;
  add: (start?: Partial<NewOrOld>) => void;
  edit: (phrase: Phrase) => void;
} {
  const { t } = useTranslation("reporting");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const may = useMay();
  const all = useQuery(phrasesQuery()).data ?? [];
  const [open, setOpen] = useState<{ start: NewOrOld; old: Phrase | null } | null>(null);
  const save = useMutation({
    mutationFn: ({ shared, ...content }: NewOrOld) => {
      const old = open?.old ?? null;
      return old === null ? phraseCalls.add(shared, contentOf(content)) : phraseCalls.edit(old.id, old.version, contentOf(content));
    },
    onSuccess: async () => {
      setOpen(null);
      void message.success(t("phrase.saved"));
      await queries.invalidateQueries({ queryKey: ["phrases"] });
    },
  });
  const show = (start: NewOrOld, old: Phrase | null): void => {
    save.reset();
    setOpen({ start, old });
  };
  return {
    add: (start = {}) => show({ ...EMPTY, shared: false, ...start }, null),
    edit: (phrase) => show({ ...contentOf(phrase), shared: phrase.shared }, phrase),
    dialog: open !== null && (
      <PhraseForm
        start={open.start}
        existing={open.old !== null}
        mayShare={may("template.edit")}
        categories={distinct(all.map((phrase) => phrase.category))}
        parts={distinct(all.map((phrase) => phrase.body_part))}
        busy={save.isPending}
        problem={save.isError ? save.error : null}
        onSave={(phrase) => save.mutate(phrase)}
        onClose={() => setOpen(null)}
      />
    ),
  };
}
