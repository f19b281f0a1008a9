export { InterfacesPage } from "./InterfacesPage";
export { AdminPage } from "./AdminPage";
