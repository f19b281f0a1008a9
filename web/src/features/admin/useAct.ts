import { useMutation, useQueryClient, type QueryKey } from "@tanstack/react-query";
import { App } from "antd";
import { useTranslation } from "react-i18next";
import { problemText } from "@/api/problem";

/** Runs one change: says when it is done, says why it failed, and renews the lists it touched. */
export function useAct<V>(run: (given: V) => Promise<unknown>, { keys, done, onDone }: { keys: readonly QueryKey[]; done?: string; onDone?: () => void }) {
  const { t } = useTranslation("admin");
  const { message } = App.useApp();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSuccess: () => {
      if (done !== undefined) void message.success(done);
      onDone?.();
    },
    onError: (error) => void message.error(problemText(t, error)),
    onSettled: () => Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });
}
