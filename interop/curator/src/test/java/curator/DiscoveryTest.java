package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.details.ServiceCacheListener;
import org.apache.curator.x.discovery.strategies.RandomStrategy;
import org.apache.curator.x.discovery.strategies.RoundRobinStrategy;
import org.apache.curator.x.discovery.strategies.StickyStrategy;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Services register themselves; others find them and share the work among them. */
class DiscoveryTest extends Fixture {
    private ServiceDiscovery<Void> servers;
    private ServiceDiscovery<Void> users;

    @BeforeEach
    void startBoth() throws Exception {
        servers = discovery(one);
        users = discovery(two);
    }

    private ServiceDiscovery<Void> discovery(CuratorFramework client) throws Exception {
        ServiceDiscovery<Void> discovery =
                closing(
                        ServiceDiscoveryBuilder.builder(Void.class)
                                .client(client)
                                .basePath("/services")
                                .build());
        discovery.start();
        return discovery;
    }

    private ServiceInstance<Void> register(int port) throws Exception {
        ServiceInstance<Void> instance =
                ServiceInstance.<Void>builder()
                        .name("web")
                        .id("web-" + port)
                        .address("127.0.0.1")
                        .port(port)
                        .build();
        servers.registerService(instance);
        return instance;
    }

    @Test
    void registeredServicesAreFound() throws Exception {
        ServiceInstance<Void> first = register(8001);
        register(8002);
        assertEquals(List.of("web"), new ArrayList<>(users.queryForNames()));
        assertEquals(2, users.queryForInstances("web").size());
        assertEquals(8001, users.queryForInstance("web", "web-8001").getPort());
        servers.unregisterService(first);
        assertNull(users.queryForInstance("web", "web-8001"));
    }

    @Test
    void roundRobinVisitsEachInTurn() throws Exception {
        for (int port = 8001; port <= 8003; port++) {
            register(port);
        }
        ServiceProvider<Void> provider =
                closing(
                        users.serviceProviderBuilder()
                                .serviceName("web")
                                .providerStrategy(new RoundRobinStrategy<>())
                                .build());
        provider.start();
        eventually("all three", () -> provider.getAllInstances().size() == 3);
        Set<Integer> ports = new TreeSet<>();
        for (int i = 0; i < 3; i++) {
            ports.add(provider.getInstance().getPort());
        }
        assertEquals(Set.of(8001, 8002, 8003), ports);
        servers.close();
        eventually("none left", () -> provider.getInstance() == null);
    }

    @Test
    void stickyStaysUntilItsChoiceGoes() throws Exception {
        List<ServiceInstance<Void>> all = List.of(register(8001), register(8002));
        ServiceProvider<Void> provider =
                closing(
                        users.serviceProviderBuilder()
                                .serviceName("web")
                                .providerStrategy(new StickyStrategy<>(new RandomStrategy<>()))
                                .build());
        provider.start();
        eventually("both", () -> provider.getAllInstances().size() == 2);
        ServiceInstance<Void> chosen = provider.getInstance();
        for (int i = 0; i < 10; i++) {
            assertEquals(chosen.getId(), provider.getInstance().getId());
        }
        servers.unregisterService(chosen);
        int other = all.stream().mapToInt(ServiceInstance::getPort).sum() - chosen.getPort();
        eventually("the other", () -> provider.getInstance().getPort() == other);
    }

    @Test
    void cacheTellsOfChanges() throws Exception {
        ServiceCache<Void> cache = closing(users.serviceCacheBuilder().name("web").build());
        CountDownLatch changed = new CountDownLatch(1);
        cache.addListener(
                new ServiceCacheListener() {
                    @Override
                    public void cacheChanged() {
                        changed.countDown();
                    }

                    @Override
                    public void stateChanged(CuratorFramework client, ConnectionState state) {}
                });
        cache.start();
        assertEquals(0, cache.getInstances().size());
        register(8001);
        assertTrue(changed.await(30, TimeUnit.SECONDS));
        assertEquals(8001, cache.getInstances().get(0).getPort());
    }
}
