export { LoginPage } from "./LoginPage";
export { ProfilePage } from "./ProfilePage";
