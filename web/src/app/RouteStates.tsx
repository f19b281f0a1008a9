import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { Skeleton } from "antd";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Failure } from "@/ui/Failure";
import { Empty } from "@/ui/Empty";
import { PageFrame } from "@/ui/PageFrame";

export function RoutePending() {
  return (
    <PageFrame>
      <Skeleton active title paragraph={{ rows: 6 }} />
    </PageFrame>
  );
}

const RELOADED = "mingying.reloaded-for-new-version";

/** After an upgrade the old chunks are gone; one reload brings the new client. */
function isStaleBundle(error: unknown): boolean {
  return error instanceof TypeError && /dynamically imported module|module script/i.test(error.message);
}

export function RouteFailure({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const queries = useQueryClient();
  const stale = isStaleBundle(error);
  useEffect(() => {
    if (stale && sessionStorage.getItem(RELOADED) === null) {
      sessionStorage.setItem(RELOADED, "1");
      window.location.reload();
    }
  }, [stale]);
  return (
    <PageFrame>
      <Failure
        error={error}
        onRetry={() => {
          void queries.resetQueries();
          reset();
          void router.invalidate();
        }}
      />
    </PageFrame>
  );
}

export function RouteMissing() {
  const { t } = useTranslation("app");
  return (
    <PageFrame>
      <Empty title={t("missing.title")} hint={t("missing.hint")} action={<Link to="/">{t("missing.home")}</Link>} />
    </PageFrame>
  );
}
