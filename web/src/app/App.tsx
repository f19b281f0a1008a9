import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { App as AntApp, ConfigProvider, theme } from "antd";
import enUS from "antd/locale/en_US";
import zhCN from "antd/locale/zh_CN";
import dayjs from "dayjs";
import "dayjs/locale/zh-cn";
import { useEffect, useState } from "react";
import { setCsrf, whenSignedOut } from "@/api/client";
import { asProblem } from "@/api/problem";
import { sessionQuery } from "@/api/session";
import { useMode, usePreferences } from "@/lib/preferences";
import { antTheme, applyMode } from "@/ui/tokens";
import { makeRouter } from "./router";

function makeQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        // A refusal stays a refusal; only a lost network or a server in trouble is asked again.
        retry: (failures, error) => {
          const { status } = asProblem(error);
          return failures < 2 && (status === 0 || status >= 500);
        },
        refetchOnWindowFocus: true,
      },
      mutations: { retry: false },
    },
  });
}

export function App() {
  const [queries] = useState(makeQueries);
  const [router] = useState(() => makeRouter(queries));
  const { language } = usePreferences();
  const mode = useMode();

  useEffect(() => {
    applyMode(mode);
  }, [mode]);

  useEffect(() => {
    dayjs.locale(language === "zh-CN" ? "zh-cn" : "en");
  }, [language]);

  useEffect(() => {
    whenSignedOut(() => {
      setCsrf(null);
      queries.setQueryData(sessionQuery.queryKey, null);
      void router.invalidate();
    });
    return () => whenSignedOut(null);
  }, [queries, router]);

  return (
    <ConfigProvider
      locale={language === "zh-CN" ? zhCN : enUS}
      theme={{ ...antTheme(mode), algorithm: mode === "dark" ? theme.darkAlgorithm : theme.defaultAlgorithm }}
      button={{ autoInsertSpace: false }}
      componentSize="middle"
      virtual
    >
      <AntApp message={{ maxCount: 3 }} component={false}>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </AntApp>
    </ConfigProvider>
  );
}
